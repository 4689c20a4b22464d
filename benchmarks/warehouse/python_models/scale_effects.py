def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "scale",
        dbt.config.meta_get("study"),
        units=dbt.ref("scale_units"),
        scores=dbt.ref("scale_scores"),
        gates=dbt.ref("scale_gates"),
        session=session,
    )
