def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "nhefs_dose",
        dbt.config.meta_get("study"),
        units=dbt.ref("nhefs_dose_units"),
        gates=dbt.ref("nhefs_dose_gates"),
        session=session,
    )
