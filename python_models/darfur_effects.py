def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "darfur",
        dbt.config.meta_get("study"),
        units=dbt.ref("darfur_units"),
        scores=dbt.ref("darfur_scores"),
        gates=dbt.ref("darfur_gates"),
        session=session,
    )
