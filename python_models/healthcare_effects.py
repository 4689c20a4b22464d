def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "healthcare",
        dbt.config.meta_get("study"),
        units=dbt.ref("healthcare_units"),
        scores=dbt.ref("healthcare_scores"),
        gates=dbt.ref("healthcare_gates"),
        session=session,
        edges=dbt.ref("healthcare_edges"),
    )
